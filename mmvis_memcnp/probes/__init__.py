"""What MemCNP does inside a model, for the figures of the paper."""
from ..apis.inferencer import VISInferencer
from ..models.vis import DVISDAQ, IDOL, SeqFormer, SipMaskVIS
from .base import MemCNPProbe, Retrieval
from .dense import DenseProbe
from .queries import DVISDAQProbe, IDOLProbe, SeqFormerProbe

_FAMILIES: dict[type, type[MemCNPProbe]] = {
    SipMaskVIS: DenseProbe,
    IDOL: IDOLProbe,
    SeqFormer: SeqFormerProbe,
    DVISDAQ: DVISDAQProbe
}

__all__ = ['MemCNPProbe', 'Retrieval', 'memcnp_probe']


def memcnp_probe(inferencer: VISInferencer) -> MemCNPProbe:
    """The probe for the family of a model.

    Args:
        inferencer (VISInferencer): With a model that carries MemCNP.

    Returns:
        MemCNPProbe: Looks into it.

    Raises:
        ValueError: If the model does not carry MemCNP.
    """
    for family, probe in _FAMILIES.items():
        if isinstance(inferencer.model, family) and probe.fits(
                inferencer.model):
            return probe(inferencer)
    raise ValueError(f'{type(inferencer.model).__name__} of this config '
                     'carries no MemCNP: use a config with MemCNP.')
