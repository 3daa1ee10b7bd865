"""Checkpoints of IDOL and SeqFormer with MemCNP from before one key held all.

The memory stood below the box branches, what only training uses in a loss.
"""
from .base import KeyMap

MEMCNP_QUERIES = KeyMap(
    'box_branches.memcnp.bank.items',
    ((r'box_branches\.memcnp\.', 'memcnp.'),
     (r'memcnp_loss\.', 'memcnp_training.')))
