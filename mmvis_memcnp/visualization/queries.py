"""Queries that live through a video: where they look, what they are like."""
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .colors import color_of, rgb_of
from .panels import grid
from .selection import draw_dot


def draw_reference_points(images: Sequence[np.ndarray],
                          points: np.ndarray,
                          identities: Sequence[int],
                          titles: Sequence[str] = (),
                          height: int = 240) -> np.ndarray:
    """Reference points on frames (Fig. 4 of the InstanceFormer paper).

    Small dots are those of the frames before.

    Args:
        images (Sequence[ndarray]): T frames (H, W, 3), uint8, BGR.
        points (np.ndarray): (T, n, 2), x and y as fractions of the frame.
        identities (Sequence[int]): n, which give the colours.
        titles (Sequence[str]): T, above the frames.
        height (int): Height of a frame in the figure. Defaults to 240.

    Returns:
        np.ndarray: T frames in a row.
    """
    cells = []
    for t, image in enumerate(images):
        cell = image.copy()
        size = np.array(cell.shape[1::-1])
        radius = max(3., cell.shape[0] / 60)
        for past in range(t + 1):
            for point, identity in zip(points[past], identities, strict=True):
                draw_dot(cell, point * size,
                         radius if past == t else radius / 2,
                         color_of(identity))
        cells.append(cell)
    return grid([cells], column_titles=list(titles), height=height)


def embed_in_plane(vectors: np.ndarray, method: str = 'tsne',
                   seed: int = 0) -> np.ndarray:
    """Vectors as points of a plane.

    Args:
        vectors (np.ndarray): (N, C).
        method (str): 'tsne' (scikit-learn) or 'pca'. Defaults to 'tsne'.
        seed (int): Of t-SNE. Defaults to 0.

    Returns:
        np.ndarray: (N, 2).

    Raises:
        ValueError: Without scikit-learn, of an unknown method, or with fewer
            than three vectors.
    """
    if len(vectors) < 3:
        raise ValueError(f'A plane needs at least 3 vectors, got '
                         f'{len(vectors)}: take more frames or instances.')
    if method == 'pca':
        centred = vectors - vectors.mean(0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        return centred @ axes[:2].T
    if method != 'tsne':
        raise ValueError(f"method must be 'tsne' or 'pca', got {method!r}.")
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ValueError(
            't-SNE needs scikit-learn, which is not installed: pip install '
            "scikit-learn, or take the method 'pca'.") from error
    perplexity = min(30., (len(vectors) - 1) / 3)
    return TSNE(perplexity=perplexity, init='pca',
                random_state=seed).fit_transform(vectors)


def plot_queries(points: np.ndarray, identities: Sequence[int],
                 title: str = '') -> Figure:
    """Queries of all frames, a colour an instance (Fig. 7 of the paper).

    Args:
        points (np.ndarray): (N, 2).
        identities (Sequence[int]): N.
        title (str): Defaults to none.

    Returns:
        Figure: To be saved by its ``savefig``.
    """
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    axes.scatter(points[:, 0], points[:, 1], s=12,
                 c=[rgb_of(int(i)) for i in identities])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title)
    return figure
