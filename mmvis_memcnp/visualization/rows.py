"""What trackers of rows remember, and which queries their rows read."""
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from .colors import rgb_of


def memory_contents(memory: np.ndarray, written: np.ndarray) -> np.ndarray:
    """The part of each frame in what is remembered after each frame.

    Of memories that mix the old with the new, whatever the share.

    Args:
        memory (np.ndarray): (T, n, C), after each frame.
        written (np.ndarray): (T, n, C), what it was given.

    Returns:
        np.ndarray: (T, n, T) in [0, 1]; entry [t, i, s] is the part of frame
        s after frame t.
    """
    frames, count = memory.shape[:2]
    parts = np.zeros((frames, count, frames))
    parts[0, :, 0] = 1.
    for t in range(1, frames):
        way = written[t] - memory[t - 1]
        share = ((memory[t] - memory[t - 1]) * way).sum(1) / np.maximum(
            (way**2).sum(1), 1e-12)
        share = share.clip(0., 1.)
        parts[t] = (1 - share)[:, None] * parts[t - 1]
        parts[t, :, t] += share
    return parts


def plot_memory(contents: np.ndarray, objectness: np.ndarray,
                occupied: np.ndarray, identities: Sequence[int]) -> Figure:
    """What is remembered of objects over time (as Fig. 4 of O2VIS).

    Args:
        contents (np.ndarray): (T, n, T), see :func:`memory_contents`; a
            colour a frame.
        objectness (np.ndarray): (T, n) in [0, 1], drawn as a line.
        occupied (np.ndarray): (T, n) bool; frames before an object was there
            are shaded.
        identities (Sequence[int]): n.

    Returns:
        Figure: A plot an object.
    """
    frames, count = objectness.shape
    figure = Figure(figsize=(7, 1.2 * count + .8), layout='constrained')
    colors = colormaps['viridis'](np.linspace(0, 1, frames))
    grid = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for i, (axes, identity) in enumerate(zip(grid, identities, strict=True)):
        axes.stackplot(range(frames), contents[:, i].T, colors=colors)
        axes.plot(objectness[:, i], color='black')
        axes.fill_between(range(frames), 0, 1, where=~occupied[:, i],
                          color='white', alpha=.6)
        axes.set(ylim=(0, 1), yticks=[0, 1], xlim=(0, max(frames - 1, 1)))
        axes.set_ylabel(f'{identity}', color=rgb_of(identity))
    grid[-1].set_xlabel('frame; colour: of which frame, line: objectness')
    return figure


def plot_attention(weights: np.ndarray, order: Sequence[int],
                   identities: Sequence[int], title: str = '') -> Figure:
    """Which queries of a frame rows read (as Fig. 6 of O2VIS).

    Args:
        weights (np.ndarray): (n, N), rows by queries.
        order (Sequence[int]): n, the query of each row, which is marked.
        identities (Sequence[int]): n.
        title (str): Defaults to none.

    Returns:
        Figure: A map.
    """
    figure = Figure(figsize=(8, .25 * len(weights) + 1.2),
                    layout='constrained')
    axes = figure.add_subplot()
    axes.imshow(weights, aspect='auto', vmin=0.)
    axes.scatter(order, range(len(weights)), s=20, facecolors='none',
                 edgecolors='red')
    axes.set_yticks(range(len(weights)), [str(i) for i in identities])
    axes.set(title=title, xlabel='query of the frame', ylabel='row')
    return figure
