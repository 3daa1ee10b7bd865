"""Backbones that mmdet lacks."""
from .dinov2 import DINOv2
from .mae_vit import MAEViT
from .vit_adapter import ViTAdapter

__all__ = ['DINOv2', 'MAEViT', 'ViTAdapter']
