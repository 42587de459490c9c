"""Networks of the service: their cards, weights, training and evaluation. Neither sends ONNX
Runtime's usage data to its maker; see app."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
