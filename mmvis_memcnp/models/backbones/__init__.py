"""Backbones that mmdet lacks."""
from .mae_vit import MAEViT

__all__ = ['MAEViT']
