"""Checkpoints of IDOL, SeqFormer and InstanceFormer from before the segmenter.

Its parts were parts of the systems. With MemCNP the memory stood below the box
branches, what only training uses in a loss.
"""
from .base import KeyMap

WITHOUT_SEGMENTER = KeyMap(
    'reference_points.weight',
    ((r'box_branches\.memcnp\.', 'memcnp.'),
     (r'memcnp_loss\.', 'memcnp_training.'),
     (r'(backbone|neck|encoder|decoder|query_embed|reference_points|'
      r'cls_branches|box_branches|mask_branch|mask_controller|embed_head)\.',
      r'segmenter.\1.')))
