"""Losses that mmdet lacks."""
from .query_frame_loss import QueryFrameLoss, Rows
from .temporal_contrast import TemporalContrastiveLoss

__all__ = ['QueryFrameLoss', 'Rows', 'TemporalContrastiveLoss']
