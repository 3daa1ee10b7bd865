"""Compiled operators and their PyTorch twins."""
from .cropping import crop_split, crop_split_gt

__all__ = ['crop_split', 'crop_split_gt']
