from tests.scsc.conftest import one_thread as one_thread
