"""Checkpoints of SipMask-VIS and of the released SipMask with MemCNP.

Both codes are forks of the same old mmdet, whose names mmdet 3 still uses.
"""
from .base import KeyMap

SIPMASK = KeyMap('bbox_head.sip_cof.weight')

MEMCNP_SIPMASK = KeyMap('bbox_head.mem.feat_units.weight', (
    (r'bbox_head\.mem\.feat_units\.weight$', 'bbox_head.memcnp.bank.items'),
    (r'bbox_head\.mem\.mlp\.', 'bbox_head.memcnp.bank.mlp.'),
))
