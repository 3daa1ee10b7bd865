"""How difficult a generated data set is."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """Ranges of a level. Lengths are shares of the frame's shorter side.

    Attributes:
        num_objects: Fewest and most objects of a video.
        radius: Range of the objects' radii.
        speed: Mean path per frame.
        spin: Largest rotation per frame in degrees.
        growth: The size changes within [1 / growth, growth].
        stretch: Largest ratio of width to height.
        exit_chance: Share of the objects that leave and come back.
        meeting_chance: Share of the pairs of objects that meet on the way.
        look_alikes: Pairs of the same class, texture and size; they cross.
        camouflage: Share of the objects that wear the background's colours.
        distance: Least Lab distance of the other objects' colours from those
            of the background and of each other.
        contrast: How far the two colours of a texture differ.
        background_contrast: The same for the background.
        light: Largest relative change of brightness.
        shutter: Share of a frame's time that the shutter is open; sets the
            motion blur.
        pan: Mean path of the background per frame.
        noise: Standard deviation of the sensor noise, of 255.
        absence: Frames that one of each pair of look-alikes is away for, at
            least, in a video that is long enough; the other one stays and
            they do not cross, so who comes back can be told. 0: all stay.
    """
    num_objects: tuple[int, int]
    radius: tuple[float, float]
    speed: float
    spin: float
    growth: float
    stretch: float
    exit_chance: float
    meeting_chance: float
    look_alikes: int
    camouflage: float
    distance: float
    contrast: float
    background_contrast: float
    light: float
    shutter: float
    pan: float
    noise: float
    absence: int = 0


# Videos are drawn by the position of their level: new ones come last.
LEVELS = {
    'easy':
    Level(
        num_objects=(2, 4),
        radius=(0.16, 0.26),
        speed=0.025,
        spin=4.,
        growth=1.2,
        stretch=1.1,
        exit_chance=0.25,
        meeting_chance=0.2,
        look_alikes=0,
        camouflage=0.,
        distance=40.,
        contrast=18.,
        background_contrast=10.,
        light=0.1,
        shutter=0.3,
        pan=0.,
        noise=2.),
    'hard':
    Level(
        num_objects=(4, 7),
        radius=(0.1, 0.2),
        speed=0.05,
        spin=10.,
        growth=1.5,
        stretch=1.3,
        exit_chance=0.4,
        meeting_chance=0.6,
        look_alikes=2,
        camouflage=0.35,
        distance=15.,
        contrast=60.,
        background_contrast=60.,
        light=0.4,
        shutter=0.5,
        pan=0.01,
        noise=5.),
    'absence':
    Level(
        num_objects=(4, 6),
        radius=(0.1, 0.16),
        speed=0.03,
        spin=6.,
        growth=1.2,
        stretch=1.1,
        exit_chance=0.,
        meeting_chance=0.,
        look_alikes=2,
        camouflage=0.,
        distance=30.,
        contrast=40.,
        background_contrast=40.,
        light=0.2,
        shutter=0.4,
        pan=0.005,
        noise=4.,
        absence=15),
}
