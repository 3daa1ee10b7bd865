"""The config key of each kind of host: MemCNP's rules of training there."""
from ..key import MemCNPKey, Settings, split_key


def point_key(memcnp: Settings) -> MemCNPKey:
    """The config key of a dense head, with its rules as defaults.

    Args:
        memcnp (Settings): See :func:`split_key`.

    Returns:
        MemCNPKey: USS among the points, the mixture's likelihood and the
        contrast of eq 16.
    """
    return split_key(
        memcnp,
        assigner=dict(type='USSAssigner'),
        loss=dict(type='MemCNPLoss'),
        contrast=dict(type='ContrastiveTrackingLoss'))


def query_key(memcnp: Settings) -> MemCNPKey:
    """The config key of a host with queries, with their rules as defaults.

    Args:
        memcnp (Settings): See :func:`split_key`.

    Returns:
        MemCNPKey: USS among the queries, the mixture's likelihood and the
        contrast of eq 16. Each branch of a decoder encodes what it reads by
        itself unless ``readout`` says otherwise.

    Raises:
        ValueError: For another type than MemCNP.
    """
    key = _bank_key(memcnp)
    return key._replace(module={'readout': 'raw', **key.module})


def row_key(memcnp: Settings) -> MemCNPKey:
    """The config key of a host with the rows of a tracker, with their rules
    as defaults.

    Args:
        memcnp (Settings): See :func:`split_key`.

    Returns:
        MemCNPKey: As :func:`query_key`; one MLP encodes what is read.

    Raises:
        ValueError: For another type than MemCNP, or a ``certainty_power``.
    """
    if memcnp.get('certainty_power'):
        raise ValueError('memcnp.certainty_power changes no score here: '
                         'trackers whose rows are ranked by the logits of '
                         'whole videos do not have it; leave it out.')
    return _bank_key(memcnp)


def _bank_key(memcnp: Settings) -> MemCNPKey:
    """The key of what reads a memory bank and no other context."""
    if memcnp.get('type') != 'MemCNP':
        raise ValueError('The box branches of a query host read a memory bank '
                         f"but memcnp.type is {memcnp.get('type')!r}: use "
                         "memcnp=dict(type='MemCNP', ...).")
    return split_key(
        memcnp,
        assigner=dict(type='QueryUSSAssigner'),
        loss=dict(type='MemCNPLoss'),
        contrast=dict(type='ContrastiveTrackingLoss'))
