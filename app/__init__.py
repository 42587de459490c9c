"""The service. ONNX Runtime sends usage data to its maker from the moment it is imported, unless
this says otherwise; what runs on people's own machines tells nobody."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
