"""Systems whose frame network runs outside of PyTorch."""
from .export import differences, export_onnx
from .onnx_network import OnnxNetwork, run_exported

__all__ = ['OnnxNetwork', 'differences', 'export_onnx', 'run_exported']
