"""Backbones that mmdet lacks."""
from .mae_vit import MAEViT
from .vit_adapter import ViTAdapter

__all__ = ['MAEViT', 'ViTAdapter']
