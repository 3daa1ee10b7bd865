"""The metric of a test or validation loop over videos."""
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ...results.ownership import check_file
from ...results.results_json import result_entry
from ...results.store import Track
from ..functional import (
    AnnotationFile,
    Cell,
    GTTrack,
    Pairs,
    TrackingCounts,
    average_precision,
    count_tracking,
    format_table,
    headline,
    measure_video,
    pair_video,
    read_video_ids,
    reduce_video,
    reliability,
)
from .results_writer import (
    Piece,
    ResultsSpool,
    write_results,
    write_submission,
)

VideoIds = str | Sequence[int]
_CHUNK = 16  # tracks whose masks are in memory at a time


@dataclass
class _VideoRecord:
    """What is kept of a video: a few kilobytes and a place on disk."""
    video_id: int
    cells: dict[int, Cell] | None = None
    tracking: TrackingCounts | None = None
    piece: Piece | None = None
    pairs: Pairs | None = None
    dof: float | None = None


@METRICS.register_module()
class VISMetric(BaseMetric):
    """AP and AR of the YouTube-VIS evaluator, identity scores, submissions.

    Each video is reduced to track IoUs when it ends, so memory does not grow
    with the data set.  Scores are those of the official evaluator on the
    whole ground truth: objects of videos that were not run count as missed.
    Where the json has no annotations (public validation sets), a submission
    is written instead.

    Args:
        ann_file: ground truth, a YouTube-VIS / OVIS json.
        classwise: also report every class.
        score_thr: predictions that take part in IDF1 and identity switches
            have at least this score; AP uses all.
        subsets: ``{name: video ids, path of a text file of ids, or path of
            a json of these videos}``; the five numbers are also reported on
            each, as ``AP_<name>``.  Read only where there is something to
            score.
        reliability_thr: also report what scores and predicted standard
            deviations say about boxes (see
            :func:`~mmvis_memcnp.evaluation.functional.reliability`), of
            instances with at least this score; None: not. About 200 bytes of
            memory an instance.
        outfile_prefix: write ``<prefix>.json`` (results.json of the
            servers).  ``<work_dir>/vis_results`` if None and needed.
            A file that was not written by this package is never replaced.
        format_only: write ``<prefix>.json`` and ``<prefix>.zip`` (exactly
            ``results.json`` inside), score nothing.
        work_dir: folder of the run, which tools/train.py and tools/test.py
            fill in.
        overwrite: whether the results of an earlier run may be replaced;
            those of this run may in any case.
        collect_device, prefix, collect_dir: see ``BaseMetric``.

    Attributes:
        pairs: with ``reliability_thr``, on the first rank and once scored:
            every instance with its truth.
        dof: the same: degrees of freedom of the errors; see ``SigmaMap``.
    """

    # None, that of the base, makes it warn.
    default_prefix = ''

    def __init__(self,
                 ann_file: str,
                 classwise: bool = False,
                 score_thr: float = .3,
                 subsets: Mapping[str, VideoIds] | None = None,
                 reliability_thr: float | None = None,
                 outfile_prefix: str | None = None,
                 format_only: bool = False,
                 work_dir: str = 'work_dirs',
                 overwrite: bool = False,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.gt = AnnotationFile.load(ann_file)
        self.classwise = classwise
        self.score_thr = score_thr
        self.reliability_thr = reliability_thr
        self.pairs: Pairs | None = None
        self.dof: float | None = None
        self.scoring = self.gt.has_annotations and not format_only
        self.subsets = {
            name: read_video_ids(ids, self.gt)
            for name, ids in (subsets or {}).items() if self.scoring
        }
        if not self.gt.has_annotations:
            print_log(
                f'{ann_file} has no annotations, so nothing can be scored: '
                'a submission archive will be written instead.',
                logger='current')
        self.submitting = not self.scoring
        self.outfile_prefix = outfile_prefix
        if self.submitting and outfile_prefix is None:
            self.outfile_prefix = str(Path(work_dir) / 'vis_results')
        for suffix in self._suffixes():
            check_file(f'{self.outfile_prefix}{suffix}', '--out', overwrite,
                       [ann_file])
        self._spool: ResultsSpool | None = None
        self._cat_ids: list[int] | None = None

    def _suffixes(self) -> list[str]:
        """Of the files that are written."""
        if self.outfile_prefix is None:
            return []
        return ['.json', '.zip'] if self.submitting else ['.json']

    @property
    def cat_ids(self) -> list[int]:
        """Category id of the json of every class label, -1 without one.

        Raises:
            ValueError: if no class of the data set is in the json.
        """
        if self._cat_ids is None:
            self._cat_ids = self._find_cat_ids()
        return self._cat_ids

    def _find_cat_ids(self) -> list[int]:
        meta = self.dataset_meta or {}
        given = [int(c) for c in meta.get('cat_ids') or ()]
        names = list(meta.get('classes') or map(
            self.gt.categories.get, given))
        by_name = {n: c for c, n in self.gt.categories.items()}
        ids = []
        for label, name in enumerate(names):
            # The data set knows other names of its classes. Its ids alone
            # would not do: the json may be another one.
            other = given[label] if label < len(given) else -1
            alias = self.gt.categories.get(other)
            ids.append(by_name.get(
                name, -1 if alias is None or alias in names else other))
        unknown = [n for n, c in zip(names, ids, strict=True) if c < 0]
        if len(unknown) == len(ids):
            raise ValueError(
                f'{self.gt.name} has no category {unknown[:5]}: set '
                'metainfo=dict(classes=...) of the data set to names '
                'that are in the json.')
        if unknown:
            print_log(
                f'{self.gt.name} has no category {unknown[:5]}: tracks of '
                f'{"this class" if len(unknown) == 1 else "these classes"} '
                'are left out of scores and results.', 'current', 30)
        return ids

    def process(self, data_batch: object,
                data_samples: Sequence[dict]) -> None:
        """Reduce finished videos.

        Args:
            data_batch: not used.
            data_samples: dicts of ``video_id``, ``num_frames`` and
                ``tracks`` (a VideoResult: ``.tracks`` with ``label``,
                ``score``, ``segmentations``).

        Raises:
            ValueError: for a video, length or label that does not fit the
                ground truth.
        """
        for sample in data_samples:
            self.results.append(self._reduce(sample))

    def _reduce(self, sample: Mapping[str, Any]) -> _VideoRecord:
        video_id = int(sample['video_id'])
        tracks = sample['tracks'].tracks
        self._check(video_id, int(sample['num_frames']), tracks)
        tracks = [t for t in tracks if self.cat_ids[t.label] >= 0]
        record = _VideoRecord(video_id)
        if self.outfile_prefix is not None:
            if self._spool is None:
                self._spool = ResultsSpool(Path(self.outfile_prefix).parent)
            record.piece = self._spool.append(
                result_entry(video_id, self.cat_ids[t.label], t)
                for t in tracks)
        if self.scoring:
            self._score(record, [
                _LazyTrack(self.cat_ids[t.label], float(t.score), t)
                for t in tracks
            ])
            if self.reliability_thr is not None:
                record.pairs = self._pair(video_id, tracks)
                mapped = sample['tracks'].sigma_map
                record.dof = mapped and mapped.dof
        return record

    def _pair(self, video_id: int, tracks: Sequence[Track]) -> Pairs:
        # An identity that is ranked under several labels is one box a frame.
        best: dict[int, Track] = {}
        for track in tracks:
            if track.id not in best or track.score > best[track.id].score:
                best[track.id] = track
        return pair_video(
            ((self.cat_ids[t.label], t.records()) for t in best.values()),
            self._truth(video_id), self.gt.size(video_id),
            self.gt.length(video_id), self.reliability_thr or 0.)

    def _truth(self, video_id: int) -> list[GTTrack]:
        return [g for g in self.gt.tracks(video_id)
                if g.category_id in self.cat_ids]

    def _check(self, video_id: int, num_frames: int,
               tracks: Sequence[Track]) -> None:
        if video_id not in self.gt.videos:
            raise ValueError(
                f'video {video_id} is not in {self.gt.name}: the metric and '
                'the data set must use the same json.')
        length = self.gt.length(video_id)
        if num_frames != length:
            raise ValueError(
                f'video {video_id} has {length} frames in {self.gt.name}, '
                f'but {num_frames} were run: feed every frame.')
        for track in tracks:
            if not 0 <= track.label < len(self.cat_ids):
                raise ValueError(
                    f'a track has label {track.label}, but the data set has '
                    f'{len(self.cat_ids)} classes: num_classes of the model '
                    'must be the number of classes.')

    def _score(self, record: _VideoRecord,
               predictions: Sequence['_LazyTrack']) -> None:
        truth = self._truth(record.video_id)
        size = self.gt.size(record.video_id)
        overlaps = measure_video(predictions, truth, size, boxes=True,
                                 chunk=_CHUNK)
        record.cells = reduce_video(predictions, truth, size, overlaps)
        record.tracking = count_tracking(
            overlaps.gt_boxes[[not g.crowd for g in truth]],
            overlaps.boxes[[p.score >= self.score_thr for p in predictions]])

    def evaluate(self, size: int) -> dict[str, float]:
        """Collect the videos of all ranks, score them, write the files.

        Args:
            size: length of the data set; not used, since it counts frames
                and the records are videos (repeated ones are dropped by id).
        """
        try:
            return super().evaluate(sys.maxsize)
        finally:
            if self._spool is not None:
                self._spool.close()
                self._spool = None

    def compute_metrics(self, results: list[_VideoRecord]) -> dict[str, float]:
        """Scores of the data set, on the first rank.

        Args:
            results: records of every rank.

        Returns:
            ``AP``, ``AP50``, ``AP75``, ``AR1``, ``AR10``, the same with
            ``_<subset>``, ``IDF1``, ``id_switches`` and, classwise,
            ``AP_class/<name>``, and those of ``reliability_thr`` as
            ``reliability/<name>``; empty if nothing can be scored.
        """
        records = {r.video_id: r for r in reversed(results)}
        if self.outfile_prefix is not None:
            self._write([records[v] for v in sorted(records)])
        return self._summarise(records) if self.scoring else {}

    def _write(self, records: Sequence[_VideoRecord]) -> None:
        path = f'{self.outfile_prefix}.json'
        write_results([r.piece for r in records if r.piece], path)
        print_log(f'results of {len(records)} videos: {path}', 'current')
        if self.submitting:
            archive = f'{self.outfile_prefix}.zip'
            write_submission(path, archive)
            print_log(f'submission archive: {archive}', 'current')

    def _summarise(self, records: dict[int, _VideoRecord]) -> dict[str, float]:
        absent = [v for v in self.gt.videos if v not in records]
        if absent:
            print_log(
                f'{len(absent)} of {len(self.gt.videos)} videos of '
                f'{self.gt.name} were not run; their objects count as '
                'missed.', 'current')
        for v in absent:
            self._score(records.setdefault(v, _VideoRecord(v)), [])
        cells = {v: r.cells or {} for v, r in records.items()}
        cat_ids = [c for c in self.cat_ids if c >= 0]
        result = average_precision(cells, cat_ids)
        metrics = headline(result.stats())
        rows = {'all': dict(metrics)}
        for name, ids in self.subsets.items():
            part = average_precision({v: cells[v] for v in ids}, cat_ids)
            rows[f'{name} ({len(ids)} videos)'] = part.stats()
            metrics.update({
                f'{k}_{name}': v
                for k, v in headline(part.stats()).items()
            })
        if self.classwise:
            for c, scores in result.per_class().items():
                name = self.gt.categories[c]
                rows[f'class {name}'] = scores  # one may be called 'all'
                metrics[f'AP_class/{name}'] = scores['AP']
        tracking = sum((r.tracking for r in records.values() if r.tracking),
                       TrackingCounts()).scores()
        metrics.update(
            IDF1=tracking['idf1'], id_switches=tracking['num_switches'])
        print_log('\n' + format_table(rows), 'current')
        print_log(
            f'IDF1 {tracking["idf1"] * 100:.1f}, identity switches '
            f'{tracking["num_switches"]:.0f} (by boxes, the row "boxes" of '
            f'eval_json.py; score >= {self.score_thr})',
            'current')
        if self.reliability_thr is not None:
            self.pairs = Pairs.join(
                records[v].pairs or Pairs.join([]) for v in sorted(records))
            self.dof = next((r.dof for r in records.values() if r.dof), None)
            metrics.update({
                f'reliability/{name}': number for name, number in
                reliability(self.pairs, dof=self.dof).items()})
        return metrics


class _LazyTrack:
    """A predicted track under its category id; masks are read on demand."""

    def __init__(self, category_id: int, score: float, track: Track):
        self.category_id = category_id
        self.score = score
        self._track = track

    @property
    def segmentations(self):
        """Run-length codes or None, one a frame."""
        return self._track.segmentations
