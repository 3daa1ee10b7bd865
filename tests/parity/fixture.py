"""What a fixture folder stores or describes, as arrays ready to be used."""
import fnmatch
import json
from pathlib import Path
from typing import Any, Dict, List, Union

import numpy as np
from PIL import Image

from tests.data.seeded_weights import seeded_frames, seeded_state_dict
from tests.parity.entries import Entry, ManifestError, expand

_PIL_BILINEAR = 'torchvision Resize of PIL images, bilinear, antialias'
_ELLIPSE = ('ellipse inscribed in each box of boxes: integer pixel (x, y) with'
            ' ((x-cx)/rx)^2 + ((y-cy)/ry)^2 <= 1, cx=(x1+x2)/2, rx=(x2-x1)/2,'
            ' same for y; float32 boxes, float64 arithmetic')
_FRAME_KEYS = ('frames', 'take_frames', 'resize', 'channel_order',
               'scale_to_unit', 'mean', 'std', 'pad_multiple', 'padded_hw',
               'ori_hw')

Stored = Union[np.ndarray, Dict[Any, np.ndarray]]


class Fixture:
    """One parity fixture: ``manifest.json`` and its files.

    Args:
        folder: folder with a ``manifest.json`` that has a ``run`` block.

    Attributes:
        folder (Path): the folder.
        manifest (dict): the whole manifest.
        run (dict): its machine-readable block.
    """

    def __init__(self, folder: Union[str, Path]):
        self.folder = Path(folder)
        path = self.folder / 'manifest.json'
        if not path.is_file():
            raise ManifestError(f'{self.folder} has no manifest.json')
        self.manifest: Dict[str, Any] = json.loads(path.read_text())
        if 'run' not in self.manifest:
            raise ManifestError(f'{path} has no block "run"')
        self.run: Dict[str, Any] = self.manifest['run']
        self._files: Dict[str, Any] = {}
        self._weights: Dict[str, Dict[str, np.ndarray]] = {}

    def npz(self, file: str) -> Dict[str, np.ndarray]:
        """All arrays of a ``.npz`` file."""
        if file not in self._files:
            with np.load(self.folder / file, allow_pickle=False) as arrays:
                self._files[file] = dict(arrays)
        return self._files[file]

    def json(self, file: str) -> Any:
        """Content of a ``.json`` file."""
        if file not in self._files:
            self._files[file] = json.loads((self.folder / file).read_text())
        return self._files[file]

    def value(self, file: str, key: str) -> Any:
        """One stored array, or what lies at a path of a ``.json`` file."""
        if file.endswith('.npz'):
            return self.npz(file)[key]
        found = self.json(file)
        for step in filter(None, key.split('/')):
            found = found[step]
        return found

    def entries(self) -> List[Entry]:
        """Every array that ``run.arrays`` describes."""
        return [e for spec in self.run['arrays'] for e in expand(spec)]

    # -- inputs -----------------------------------------------------------
    def inputs(self, part: str) -> Dict[str, Any]:
        """The item of ``run.inputs`` with the name ``part``.

        With ``inputs_of``, stored inputs and files of that part are merged
        under this part's own, and its frames are taken if this part has
        none.
        """
        items = {item['part']: item for item in self.run['inputs']}
        if part not in items:
            raise ManifestError(f'{self.folder.name}: no inputs {part!r}')
        item = dict(items[part])
        if 'inputs_of' in item:
            other = self.inputs(item['inputs_of'])
            for key in ('npz_inputs', 'files'):
                item[key] = {**other.get(key, {}), **item.get(key, {})}
            if not item['frames']:
                item.update({k: other[k] for k in _FRAME_KEYS if k in other})
        return item

    def arrays(self, part: str) -> Dict[str, Stored]:
        """The stored inputs of a part, ``{name: array}`` (see `stored`)."""
        specs = self.inputs(part).get('npz_inputs', {})
        return {name: self.stored(spec) for name, spec in specs.items()}

    def stored(self, spec: Dict[str, Any]) -> Stored:
        """A stored input or target, unpacked, cast and divided.

        Args:
            spec: ``{file, key, for, cast?, divide_by?, packed?}``.

        Returns:
            The array; with placeholders a dict of arrays, keyed by the value
            (one placeholder) or the tuple of values (several).
        """
        found: Dict[Any, np.ndarray] = {}
        for entry in expand(spec):
            values = tuple(entry.values.values())
            key = values[0] if len(values) == 1 else values
            found[key] = self._one(entry)
        return found if spec.get('for') else found[()]

    def _one(self, entry: Entry) -> np.ndarray:
        array = np.asarray(self.value(entry.file, entry.key))
        spec = entry.spec
        if spec.get('packed'):
            array = self.unpack(array, entry)
        if 'cast' in spec:
            array = array.astype(spec['cast'])
        if 'divide_by' in spec:
            array = array / array.dtype.type(spec['divide_by'])
        return array

    def unpack(self, array: np.ndarray, entry: Entry) -> np.ndarray:
        """Undo ``np.packbits`` of an entry that has no index."""
        packed = entry.spec['packed']
        if packed['shape']:
            shape = self.npz(entry.file)[entry.fill(packed['shape'])].tolist()
        else:
            names = entry.fill(entry.spec['dims']).split(',')
            shape = [
                int(n) if n.isdigit() else self.run['dims'][n] for n in names
            ]
        count = int(np.prod(shape[packed['from']:]))
        bits = np.unpackbits(array, axis=-1, count=count)
        return bits.reshape(shape).astype(bool)

    def clips(self, part: str) -> List[np.ndarray]:
        """Seeded clips after ``take_frames`` and ``resize``.

        Returns:
            One uint8 RGB array (T, H, W, 3) a video.
        """
        item = self.inputs(part)
        found = []
        for count, height, width, seed in item['frames']:
            clip = seeded_frames(count, height, width, seed)
            clip = clip[item.get('take_frames', slice(None))]
            if item['resize']:
                clip = _resize(clip, item['resize'])
            found.append(clip)
        return found

    def frames(self, part: str) -> List[np.ndarray]:
        """Preprocessed clips: one float32 (T, 3, Hp, Wp) a video."""
        item = self.inputs(part)
        found = []
        for clip in self.clips(part):
            if item['channel_order'] == 'BGR':
                clip = clip[..., ::-1]
            elif item['channel_order'] != 'RGB':
                raise ManifestError(
                    f'unknown channel order {item["channel_order"]!r}')
            x = clip.astype(np.float32)
            if item['scale_to_unit']:
                x = x / np.float32(255)
            if item['mean'] is not None:
                x = ((x - np.float32(item['mean'])) /
                     np.float32(item['std']))
            height, width = item['padded_hw'] or x.shape[1:3]
            padded = np.zeros((len(x), 3, height, width), np.float32)
            padded[:, :, :x.shape[1], :x.shape[2]] = x.transpose(0, 3, 1, 2)
            found.append(padded)
        return found

    # -- weights ----------------------------------------------------------
    def weights(self, part: str) -> Dict[str, np.ndarray]:
        """The official state dict that a part was computed with."""
        item = self.inputs(part)['weights']
        if not item or not self.manifest.get('tensors'):
            return {}
        # Parts mostly share their weights, and drawing them takes seconds.
        spec = json.dumps(item, sort_keys=True)
        if spec not in self._weights:
            self._weights = {spec: self._draw_weights(item)}
        return dict(self._weights[spec])

    def _draw_weights(self, item: Dict[str, Any]) -> Dict[str, np.ndarray]:
        manifest = self.manifest
        if not item['overrides']:
            manifest = dict(manifest, overrides={})
        state = seeded_state_dict(manifest, variant=item['variant'])
        patterns = manifest[item['scale_patterns']] if item.get(
            'scale_patterns') else {}
        for pattern, factor in patterns.items():
            for name in fnmatch.filter(state, pattern):
                state[name] = state[name] * np.float32(factor)
        for name, spec in item.get('replace', {}).items():
            if name not in state:
                raise ManifestError(f'"replace" names no tensor: {name}')
            value = np.asarray(self.stored(spec))
            state[name] = value.astype(state[name].dtype)
        return state

    # -- targets ----------------------------------------------------------
    def targets(self, part: str = '') -> Dict[str, Any]:
        """What the losses are computed on.

        Args:
            part: part of ``targets.parts`` where a system has several; its
                keys win over the common ones.

        Returns:
            The item of the manifest with every array of ``arrays`` in place
            (see `stored`).  Masks given by a rule are drawn: a dict (or one
            array) of bool (n, H, W) on the canvas, beside the boxes.
        """
        item = {k: v for k, v in self.run['targets'].items() if k != 'parts'}
        item.update(self.run['targets'].get('parts', {}).get(part, {}))
        item.update({
            name: self.stored(spec)
            for name, spec in item.pop('arrays', {}).items()
        })
        masks = item.get('masks')
        if isinstance(masks, dict) and 'rule' in masks:
            item['masks'] = self._draw(masks, item['boxes'])
        return item

    def _draw(self, masks: Dict[str, str], boxes: Stored) -> Stored:
        if masks['rule'] != _ELLIPSE:
            raise ManifestError(f'unknown rule of masks: {masks["rule"]!r}')
        if masks['canvas'] != 'padded_hw':
            raise ManifestError(f'unknown canvas {masks["canvas"]!r}')
        sizes = {
            tuple(i['padded_hw'])
            for i in self.run['inputs'] if i['padded_hw']
        }
        if len(sizes) != 1:
            raise ManifestError('inputs differ in padded_hw: which canvas?')
        height, width = sizes.pop()
        if isinstance(boxes, dict):
            return {
                key: draw_ellipses(b, height, width)
                for key, b in boxes.items()
            }
        return draw_ellipses(boxes, height, width)


def draw_ellipses(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Ellipses inscribed in boxes.

    Args:
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        height, width: size of the canvas.

    Returns:
        bool (n, height, width): pixels with
        ((x-cx)/rx)^2 + ((y-cy)/ry)^2 <= 1, in float64.
    """
    exact = np.asarray(boxes, np.float32).astype(np.float64)
    x1, y1, x2, y2 = exact.T[..., None, None]
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        value = (((xx - (x1 + x2) / 2) / ((x2 - x1) / 2))**2 +
                 ((yy - (y1 + y2) / 2) / ((y2 - y1) / 2))**2)
    return value <= 1


def _resize(clip: np.ndarray, resize: Dict[str, Any]) -> np.ndarray:
    if resize['method'] != _PIL_BILINEAR:
        raise ManifestError(f'unknown resize method {resize["method"]!r}')
    height, width = resize['to_hw']
    return np.stack([
        np.asarray(
            Image.fromarray(f).resize((width, height),
                                      Image.Resampling.BILINEAR))
        for f in clip
    ])

