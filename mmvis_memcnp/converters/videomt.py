"""Checkpoints of VidEoMT and EoMT, of the authors and of Hugging Face.

A file of EoMT, which knows single frames, starts a training of VidEoMT.
"""
from .base import Join, KeyMap

_PREFIX = 'segmenter.'
_VIT = _PREFIX + 'backbone.'


def _timm_rules(old: str) -> tuple[tuple[str, str], ...]:
    """Rules of the authors' files; ``old`` is the pattern of what stands
    before the names."""
    return (
        (old + r'encoder\.backbone\.', _VIT),
        (old + r'q\.', _PREFIX + 'query.'),
        (old + r'class_head\.', _PREFIX + 'cls_embed.'),
        (old + r'mask_head\.', _PREFIX + 'mask_embed.'),
        (old + r'upscale\.', _PREFIX + 'upscale.'),
        (old + r'query_updater\.', 'query_updater.'),
    )


def _ignored(old: str = '') -> tuple[tuple[str, str], ...]:
    """Tensors without a counterpart; ``old`` as in the rules."""
    return (
        (old + r'attn_mask_probs$', 'shares of masked queries, which the '
         'progress of the training sets'),
        (r'criterion\.empty_weight$', 'class weights of the loss'),
        (old + r'encoder\.pixel_(mean|std)$', 'normalisation of the input'),
        (r'embeddings\.mask_token$', 'mask token, which nothing reads'))


_LAYER = r'layers\.(\d+)\.'
_OUR_LAYER = _VIT + r'blocks.\1.'
_UP = r'upscale_block\.block\.(\d)\.'
_OUR_UP = _PREFIX + r'upscale.\1.'
_HUGGING_FACE_RULES: tuple[tuple[str, str], ...] = (
    (r'embeddings\.register_tokens$', _VIT + 'reg_token'),
    (r'embeddings\.patch_embeddings\.projection\.',
     _VIT + 'patch_embed.proj.'),
    (r'embeddings\.position_embeddings\.weight$', _VIT + 'pos_embed'),
    (r'embeddings\.', _VIT),
    (_LAYER + r'attention\.out_proj\.', _OUR_LAYER + 'attn.proj.'),
    (_LAYER + r'attention\.', _OUR_LAYER + 'attn.'),
    (_LAYER + r'layer_scale(\d)\.lambda1$', _OUR_LAYER + r'ls\2.gamma'),
    (_LAYER, _OUR_LAYER),
    (r'layernorm\.', _VIT + 'norm.'),
    (r'query\.', _PREFIX + 'query.'),
    (r'class_predictor\.', _PREFIX + 'cls_embed.'),
    *((rf'mask_head\.fc{n + 1}\.', _PREFIX + f'mask_embed.{2 * n}.')
      for n in range(3)),
    (_UP + r'layernorm2d\.', _OUR_UP + 'norm.'),
    (_UP, _OUR_UP))


def _hugging_face(marker: str) -> KeyMap:
    return KeyMap(
        marker, _HUGGING_FACE_RULES, ignored=_ignored(),
        values=((r'embeddings\.position_embeddings\.',
                 lambda value: value[None]), ),
        joins=(Join(
            r'layers\.\d+\.attention\.(q_proj|k_proj|v_proj)\.(?:weight|bias)',
            ('q_proj', 'k_proj', 'v_proj'), 'qkv'), ))


#: The authors' VidEoMT, and its first stage.
VIDEOMT = KeyMap('backbone.query_updater.weight', _timm_rules(r'backbone\.'),
                 ignored=_ignored(r'backbone\.'))
#: The same without propagation.
VIDEOMT_SEGMENTER = KeyMap('backbone.q.weight', _timm_rules(r'backbone\.'),
                           ignored=_ignored(r'backbone\.'))
#: The authors' EoMT.
EOMT = KeyMap('network.q.weight', _timm_rules(r'network\.'),
              ignored=_ignored(r'network\.'))
#: ``videomt`` and ``eomt`` of Hugging Face's transformers.
VIDEOMT_HUGGING_FACE = _hugging_face('query_updater.weight')
EOMT_HUGGING_FACE = _hugging_face('upscale_block.block.0.conv1.weight')
