"""Pictures of results, uncertainty and memory.

The names are looked up when they are used: colours need neither torch nor
mmdet.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .colors import color_of, rgb_of
    from .comparison import draw_comparison, match_identities
    from .files import VideoWriter, write_image
    from .memory import draw_memory
    from .overlay import corner_ellipses, draw_frame, draw_video, place_chips
    from .queries import draw_reference_points, embed_in_plane, plot_queries
    from .selection import LevelSelection, draw_selections
    from .uncertainty import (
        draw_query_uncertainty,
        draw_uncertainty_maps,
        plot_uncertainty,
        spread_map,
        warm,
    )

_HOMES = {
    'colors': ('color_of', 'rgb_of'),
    'comparison': ('draw_comparison', 'match_identities'),
    'files': ('VideoWriter', 'write_image'),
    'memory': ('draw_memory', ),
    'overlay': ('corner_ellipses', 'draw_frame', 'draw_video', 'place_chips'),
    'queries': ('draw_reference_points', 'embed_in_plane', 'plot_queries'),
    'selection': ('LevelSelection', 'draw_selections'),
    'uncertainty': ('draw_query_uncertainty', 'draw_uncertainty_maps',
                    'plot_uncertainty', 'spread_map', 'warm'),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f'.{module}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = [
    'LevelSelection', 'VideoWriter', 'color_of', 'corner_ellipses',
    'draw_comparison', 'draw_frame', 'draw_memory', 'draw_query_uncertainty',
    'draw_reference_points', 'draw_selections', 'draw_uncertainty_maps',
    'draw_video',
    'embed_in_plane', 'match_identities', 'place_chips', 'plot_queries',
    'plot_uncertainty', 'rgb_of', 'spread_map', 'warm',
    'write_image'
]
