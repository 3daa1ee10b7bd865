"""Pictures of results, uncertainty and memory."""
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

__all__ = [
    'LevelSelection', 'VideoWriter', 'color_of', 'corner_ellipses',
    'draw_comparison', 'draw_frame', 'draw_memory', 'draw_query_uncertainty',
    'draw_reference_points', 'draw_selections', 'draw_uncertainty_maps',
    'draw_video',
    'embed_in_plane', 'match_identities', 'place_chips', 'plot_queries',
    'plot_uncertainty', 'rgb_of', 'spread_map', 'warm',
    'write_image'
]
