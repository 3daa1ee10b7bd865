"""MemCNP and the video instance segmentation systems that it plugs into.

With this package, every model, loss, assigner, tracker, data set, transform,
metric, hook and loop is registered with mmdet's registries, so that a config
needs nothing but ``custom_imports = dict(imports=['mmvis_memcnp'])``. That
happens when this package is imported after mmengine; otherwise before the
first import of mmengine, mmcv or mmdet, or of a module of this package that
needs them. So what needs no model, such as a converter of annotations, loads
neither torch nor mmdet.
"""
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .version import __version__

#: Modules that load neither torch nor mmdet, and need nothing registered.
LIGHT = ('annotations', 'annotations.coco_video', 'annotations.cvat',
         'annotations.cvat_shapes', 'annotations.davis',
         'annotations.flavours', 'annotations.labelme', 'annotations.mots',
         'annotations.subsets', 'annotations.validation', 'annotations.videos',
         'annotations.writer', 'apis', 'apis.sources', 'apis.streams', 'cli',
         'cli.allocator', 'cli.conversion',
         'cli.main', 'cli.numbers', 'cli.output_options', 'cli.run',
         'cli.shipped', 'cli.signals', 'datasets', 'datasets.classes',
         'datasets.coco_classes', 'datasets.moving_shapes',
         'datasets.moving_shapes.generate', 'datasets.moving_shapes.levels',
         'datasets.moving_shapes.motion', 'datasets.moving_shapes.preview',
         'datasets.moving_shapes.render', 'datasets.moving_shapes.scene',
         'datasets.moving_shapes.shapes', 'datasets.moving_shapes.textures',
         'errors', 'evaluation', 'evaluation.annotated_video',
         'evaluation.functional',
         'evaluation.functional.absence',
         'evaluation.functional.assignment', 'evaluation.functional.broken',
         'evaluation.functional.hota', 'evaluation.functional.scoring',
         'evaluation.functional.shares',
         'evaluation.functional.calibration',
         'evaluation.functional.ground_truth',
         'evaluation.functional.intersections', 'evaluation.functional.mot',
         'evaluation.functional.overlaps', 'evaluation.functional.pairs',
         'evaluation.functional.parallel', 'evaluation.functional.reliability',
         'evaluation.functional.report', 'evaluation.functional.results',
         'evaluation.functional.rle', 'evaluation.functional.sigma_fit',
         'evaluation.functional.track_iou', 'evaluation.functional.ytvis_ap',
         'images', 'report', 'report.frames', 'report.identities',
         'report.inputs', 'report.page', 'report.scores', 'report.shapes',
         'results', 'results.codes', 'results.compiled', 'results.files',
         'results.frame_arrays', 'results.json_objects', 'results.json_rules',
         'results.ownership', 'results.rle', 'results.sigma_map',
         'results.spans', 'version', 'visualization', 'visualization.colors',
         'visualization.comparison', 'visualization.files',
         'visualization.overlay', 'visualization.panels',
         'visualization.quiet_opencv', 'visualization.text')
# Each loads those before it, in whatever state it is then.
_STACK = ('mmengine', 'mmcv', 'mmdet')
_ROOMS = ('apis', 'compat', 'converters', 'datasets', 'engine', 'evaluation',
          'models', 'ops', 'report', 'results', 'visualization')


class _RegisterFirst(MetaPathFinder):
    """Registers all parts before the first import that may need them."""

    def find_spec(self, name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module as the finders behind this one do."""
        package, _, module = name.partition('.')
        if name not in _STACK and (package != __name__ or module in LIGHT):
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1:]:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _AfterRegistration(self, spec.loader)
                return spec
        return None


class _AfterRegistration(Loader):
    """Registers all parts, which loads the module that is wanted."""

    def __init__(self, finder: MetaPathFinder, loader: Any) -> None:
        self.finder, self.loader = finder, loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module, which is loaded by then or now."""
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        import_module(f'{__name__}.registration')
        return import_module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Hand the module over to its own loader, which has run it."""
        assert module.__spec__ is not None
        module.__spec__.loader = self.loader


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


if 'mmengine' in sys.modules:
    import_module(f'{__name__}.registration')
else:
    sys.meta_path.insert(0, _RegisterFirst())

__all__ = ['LIGHT', '__version__']
