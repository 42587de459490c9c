"""Who is acting, for the audit log. Set at the edge of a request, read where the line is written.

A context variable, as the worker threads of a request inherit it, and as no function in between has
a use for it.
"""

from contextvars import ContextVar

LOCAL = "local"  # a command in the data folder, or the service itself
ANYBODY = "anybody"  # of a service without keys
KEY = "key:"  # and the key's id

ACTOR: ContextVar[str] = ContextVar("actor", default=LOCAL)
