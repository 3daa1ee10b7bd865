"""Draw architecture.svg and classes.svg, the pictures of docs/design.md.

usage: python docs/images/draw_architecture.py

Needs the standard library alone. The names in the pictures are those of the
code; tests/test_docs holds the pictures to this script.
"""
from __future__ import annotations

from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
INK, GREY = '#1f2933', '#52606d'
BLUE, GREEN, SAND, ROSE, WHITE = (
    '#dcebfa', '#dff3e4', '#faf0d7', '#fbe3e4', '#ffffff')


class Picture:
    """Boxes and arrows on a white page.

    Args:
        width (int): Pixels.
        height (int): Pixels.
        title (str): What a screen reader says.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
            'font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
            f'<title>{escape(title)}</title>',
            '<defs>'
            + ''.join(
                f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" '
                'markerWidth="8" markerHeight="8" orient="auto">'
                f'<path d="M0 1 L9 5 L0 9 z" fill="{fill}" stroke="{INK}"/>'
                '</marker>' for name, fill in (('tip', INK),
                                               ('open', WHITE)))
            + '</defs>',
            f'<rect width="{width}" height="{height}" fill="{WHITE}"/>',
        ]

    def text(self, x: float, y: float, words: str, size: int = 12,
             bold: bool = False, colour: str = INK,
             anchor: str = 'middle') -> None:
        """One line of text; y is its base line."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}"'
            + (' font-weight="bold"' if bold else '')
            + f'>{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float,
            title: str, lines: tuple[str, ...] = (), fill: str = WHITE,
            dashed: bool = False) -> None:
        """A box with a title and lines below it."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" '
            f'height="{height:g}" rx="6" fill="{fill}" stroke="{INK}"'
            + (' stroke-dasharray="5 4"' if dashed else '') + '/>')
        middle = x + width / 2
        self.text(middle, y + 19 if lines else y + height / 2 + 5, title, 13,
                  bold=True)
        for i, line in enumerate(lines):
            self.text(middle, y + 37 + 15 * i, line, 11, colour=GREY)

    def arrow(self, *points: tuple[float, float], tip: str = 'tip',
              dashed: bool = False) -> None:
        """A line through points that ends in a tip."""
        path = ' '.join(f'{x:g},{y:g}' for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{INK}" '
            f'marker-end="url(#{tip})"'
            + (' stroke-dasharray="5 4"' if dashed else '') + '/>')

    def svg(self) -> str:
        """The file's content."""
        return '\n'.join([*self.parts, '</svg>', ''])


def architecture() -> str:
    """How a frame goes through a system and its session."""
    page = Picture(980, 500, 'A frame on its way through a system')
    page.text(20, 24, 'Session: step(frames, metas), flush(), finish()', 13,
              bold=True, anchor='start')
    page.box(20, 36, 600, 312, '', (), BLUE)
    page.text(105, 92, 'System (VIS)', 14, bold=True)
    page.box(190, 68, 410, 40, 'begin(video_meta) -> state', (), WHITE)
    page.box(40, 136, 180, 104, 'encode(frames, metas)', (
        'segmenter: backbone, neck,', 'encoder, decoder or head;',
        'stateless, batched', '-> an item a frame'))
    page.box(290, 136, 310, 104, 'advance(state, item, meta)', (
        'tracker or propagation: identities',
        '-> frames that are settled now:', 'one, none or several'))
    page.box(340, 268, 260, 40, 'drain(state) -> the other frames', ())
    page.arrow((220, 188), (290, 188))
    page.text(255, 180, 'item', 11, colour=GREY)
    page.arrow((395, 108), (395, 136))
    page.text(402, 126, 'state', 11, colour=GREY, anchor='start')
    page.arrow((395, 240), (395, 268))
    page.text(402, 258, 'state', 11, colour=GREY, anchor='start')
    page.text(130, 290, 'frames', 12, bold=True)
    page.arrow((130, 276), (130, 240))

    page.box(40, 380, 230, 96, 'MemCNP (optional)', (
        'memory bank -> context of each', 'point, query or row -> box',
        'distribution (mu, sigma)'), ROSE, dashed=True)
    page.arrow((70, 380), (70, 240), dashed=True)
    page.arrow((270, 428), (320, 428), dashed=True)
    page.box(320, 380, 280, 96, 'Tracker', (
        'association: how alike are', 'embeddings and objects',
        'memory: start, read, write'), SAND)
    page.arrow((340, 380), (340, 360), (312, 360), (312, 240))

    page.box(660, 136, 300, 104, 'FrameInstances', (
        'ids, class scores or logits,', 'optional boxes and sigmas,',
        'MaskSource: small masks + way', 'back to pixels, made on demand'),
        GREEN)
    page.arrow((600, 188), (660, 188))
    page.arrow((600, 288), (630, 288), (630, 220), (660, 220))
    page.box(660, 276, 140, 72, 'render()', (
        'masks as', 'run-length codes'), GREEN)
    page.box(820, 276, 140, 72, 'Ranking', (
        'scores, labels', 'of the video'), GREEN)
    page.arrow((730, 240), (730, 276))
    page.arrow((890, 240), (890, 276))
    page.box(660, 380, 140, 96, 'TrackStore', (
        'Sink: memory', 'or a file;', 'TrackFilter drops'), GREEN)
    page.box(820, 380, 140, 96, 'VideoResult', (
        'tracks: id, label,', 'score, masks', '-> results.json'), GREEN)
    page.arrow((730, 348), (730, 380))
    page.arrow((890, 348), (890, 380))
    page.arrow((800, 430), (820, 430))
    page.text(810, 112, 'results/', 12, colour=GREY)
    return page.svg()


def classes() -> str:
    """What holds what, and what is a kind of what."""
    page = Picture(980, 560, 'Class diagram')
    page.text(40, 24, 'hollow tip: is a kind of; filled tip: holds or makes; '
              'dashed: only where the config has the key', 11,
              colour=GREY, anchor='start')
    page.box(40, 44, 200, 78, 'Session', (
        'state of one video', 'step, flush, finish, tracks'))
    page.box(390, 44, 220, 78, 'VIS (BaseModel)', (
        'begin, encode, advance, drain', 'loss, parts'), BLUE)
    page.arrow((240, 83), (390, 83))
    page.text(315, 76, 'model', 11, colour=GREY)
    page.box(700, 44, 240, 78, 'Ranking, TrackFilter', (
        'MajorityLabel, MeanClass,', 'LatestClass, TopPairs ...'), GREEN)
    page.arrow((610, 83), (700, 83))
    page.text(655, 76, 'of each video', 11, colour=GREY)

    page.box(40, 182, 220, 62, 'OnlineVIS', (
        'detections, then a tracker',), BLUE)
    page.box(290, 182, 190, 62, 'InstanceFormer', (
        'queries are passed on',), BLUE)
    page.box(500, 182, 84, 62, 'MinVIS', (
        'rows',), BLUE)
    page.box(596, 182, 84, 62, 'DVISDAQ', (
        'and new rows',), BLUE)
    page.box(700, 182, 240, 62, 'ClipVIS', (
        'several frames: decode',), BLUE)
    for x, end in ((150, 430), (385, 475), (542, 505), (638, 535),
                   (820, 570)):
        page.arrow((x, 182), (x, 152), (end, 152), (end, 122), tip='open')
    page.box(40, 284, 88, 40, 'SipMaskVIS', (), BLUE)
    page.box(138, 284, 56, 40, 'IDOL', (), BLUE)
    page.box(204, 284, 66, 40, 'CTVIS', (), BLUE)
    page.box(770, 284, 100, 40, 'SeqFormer', (), BLUE)
    for x in (84, 166, 237):
        page.arrow((x, 284), (x, 244), tip='open')
    page.arrow((820, 284), (820, 244), tip='open')

    page.box(300, 284, 200, 62, 'DetectionTracker', (
        'CueTracker, GreedyTracker',), SAND)
    page.arrow((254, 244), (254, 264), (320, 264), (320, 284))
    page.text(326, 278, 'tracker', 11, colour=GREY, anchor='start')
    page.box(530, 284, 200, 62, 'RowTracker, AnchorTracker', (
        'N queries stay N, or get more',), SAND)
    page.arrow((542, 244), (542, 284))
    page.arrow((638, 244), (638, 284))
    page.text(644, 262, 'tracker', 11, colour=GREY, anchor='start')
    page.box(300, 392, 200, 62, 'Association', (
        'CueAssociation, Bi-softmax ...',), SAND)
    page.box(530, 392, 200, 62, 'Memory', (
        'Latest-, Window-, Similarity- ...',), SAND)
    page.arrow((370, 346), (370, 392))
    page.arrow((660, 346), (660, 392))
    page.arrow((460, 346), (460, 369), (590, 369), (590, 392))
    page.arrow((560, 346), (560, 358), (430, 358), (430, 392))

    page.box(770, 392, 190, 78, 'ClipMatching', (
        'instances of windows', 'to identities'), SAND)
    page.arrow((910, 244), (910, 392), dashed=True)
    page.text(904, 372, 'window', 11, colour=GREY, anchor='end')

    page.box(40, 392, 220, 78, 'Segmenter parts', (
        'SipMask head, deformable/,', 'Mask2FormerSegmenter'))
    for x in (84, 166, 237):
        page.arrow((x, 324), (x, 392))
    page.box(40, 502, 220, 46, 'MemCNP: MemoryBank', (
        'in a segmenter or an AnchorTracker',), ROSE, dashed=True)
    page.arrow((150, 470), (150, 502), dashed=True)
    page.text(157, 491, 'memcnp', 11, colour=GREY, anchor='start')
    page.box(300, 502, 660, 46,
             'Training: matcher = cost terms x policy -> Matches -> losses')
    return page.svg()


PICTURES = dict(architecture=architecture, classes=classes)

if __name__ == '__main__':
    for name, draw in PICTURES.items():
        (FOLDER / f'{name}.svg').write_text(draw())
