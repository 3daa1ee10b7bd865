"""The page in a browser, where Chromium is installed."""
import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome', 'chrome'))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None,
                                reason='Chromium is not installed')

# Runs in the page: presses keys, and leaves what it saw in the title.
START = '''<script>
window.faults = [];
window.addEventListener('error', (e) => faults.push(String(e.message)));
document.addEventListener('securitypolicyviolation',
  (e) => faults.push('asked for ' + e.blockedURI));
</script>'''
END = '''<script>
window.addEventListener('load', () => setTimeout(() => {
  const press = (key, more = {}, on = document.body) => on.dispatchEvent(
    new KeyboardEvent('keydown', {key, bubbles: true, ...more}));
  const pixels = () => {
    const c = document.getElementById('canvas');
    return Array.from(c.getContext('2d').getImageData(
      0, 0, c.width, c.height).data).reduce((a, b) => a + b, 0);
  };
  const seen = {faults: window.faults,
    ready: document.documentElement.dataset.ready};
  try { (%s)(seen, press, pixels); } catch (e) { faults.push(String(e)); }
  document.title = 'SEEN' + JSON.stringify(seen) + 'END';
}, 300));
</script></body>'''


@pytest.fixture
def browse(tmp_path):
    """Open a page, run a function in it; what it saw."""
    def run(page, script):
        text = (tmp_path / page).read_text()
        text = text.replace('<style>', START + '<style>', 1).replace(
            '</body>', END % script, 1)
        copy = tmp_path / 'browsed.html'
        copy.write_text(text)
        done = subprocess.run(
            [CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu',
             f'--user-data-dir={tmp_path}/profile', '--window-size=1280,900',
             '--virtual-time-budget=3000', '--dump-dom', copy.as_uri()],
            capture_output=True, text=True, timeout=120, check=True)
        found = re.search('<title>SEEN(.*?)END</title>', done.stdout, re.S)
        assert found, done.stdout[:500] + done.stderr[-2000:]
        # The title stands in the page as text of HTML.
        seen = json.loads(found[1].replace('&lt;', '<').replace(
            '&gt;', '>').replace('&amp;', '&'))
        assert seen['faults'] == [] and seen['ready'] == 'yes'
        return seen
    return run


def test_keys_and_overlays(tool, exchange, browse):
    results, gt, frames = exchange
    assert tool(results, '--gt', gt, '--frames', frames, '--out',
                'p.html').returncode == 0
    seen = browse('p.html', '''(seen, press, pixels) => {
      const text = (id) => document.getElementById(id).textContent;
      seen.first = text('caption');
      press('Escape');
      press('Home', {}, document.getElementById('canvas'));
      seen.frames = [text('frame')];
      press('ArrowRight'); press('ArrowRight');
      seen.frames.push(text('frame'));
      press('ArrowRight', {shiftKey: true});
      seen.frames.push(text('frame'));
      for (const key of ['m', 'c', 'b', 'l', 'u', 't']) {
        const before = pixels();
        press(key);
        seen[key] = pixels() !== before;
      }
      seen.pressed = [...document.querySelectorAll('#overlays button')].map(
        (b) => b.getAttribute('aria-pressed'));
      seen.cases = document.querySelectorAll('#cases li').length;
      press('j');
      seen.second = text('caption');
      press('k');
      seen.again = text('caption');
      seen.unnamed = [...document.querySelectorAll(
        'button, input, select, canvas')].filter((e) => !(
        e.textContent.trim() || e.getAttribute('aria-label'))).length;
      seen.wide = document.documentElement.scrollWidth > window.innerWidth;
    }''')
    assert seen['frames'] == ['0 / 3', '2 / 3', '3 / 3']
    assert all(seen[key] for key in 'mcblt')
    # at the last frame the track has no standard deviations
    assert not seen['u']
    assert seen['pressed'] == ['false', 'false', 'true', 'false', 'false',
                               'true']
    assert seen['cases'] == 6
    assert seen['first'] == seen['again'] != seen['second']
    assert seen['unnamed'] == 0 and not seen['wide']


def test_playing_threshold_tables_and_choice(tool, exchange, browse):
    results, gt, _ = exchange
    assert tool(results, '--gt', gt, '--out', 'p.html').returncode == 0
    seen = browse('p.html', '''(seen, press, pixels) => {
      const text = (id) => document.getElementById(id).textContent;
      const rows = () => document.querySelectorAll(
        '#timeline .row[data-key^=t]').length;
      press('Escape');
      seen.rows = [rows()];
      const slider = document.querySelector('#overlays input');
      slider.value = 0;
      slider.dispatchEvent(new Event('input'));
      seen.rows.push(rows());
      slider.value = .85;
      slider.dispatchEvent(new Event('input'));
      seen.rows.push(rows());
      document.querySelector('[data-key=o0] button').click();
      seen.dim = [...document.querySelectorAll('.row.dim')].map(
        (r) => r.dataset.key);
      press(' ');
      seen.playing = text('play');
      press(' ');
      seen.stopped = text('play');
      const head = [...document.querySelectorAll('#tables th button')].find(
        (b) => b.textContent === 'AP50');
      head.click();
      seen.sort = head.parentElement.getAttribute('aria-sort');
      seen.tiles = text('tiles');
      const kind = document.querySelector('#kinds button');
      kind.click();
      seen.cases = document.querySelectorAll('#cases li').length;
      seen.matrix = text('confusions');
    }''')
    assert seen['rows'] == [3, 4, 1]
    assert seen['dim'] == ['o1', 'o2']  # both tracks follow it in turn
    assert 'stop' in seen['playing'] and 'play' in seen['stopped']
    assert seen['sort'] == 'ascending'
    assert 'HOTA' in seen['tiles'] and 'switches' in seen['tiles']
    assert seen['cases'] == 4
    assert 'no track' in seen['matrix']


def test_page_without_truth_and_without_sigmas(tool, save, browse):
    from tests.test_evaluation.toy import result, rows
    assert tool(save('r.json', [result([rows(0), None, rows(0)])]), '--out',
                'p.html').returncode == 0
    seen = browse('p.html', '''(seen, press, pixels) => {
      seen.overlays = [...document.querySelectorAll(
        '#overlays button')].map((b) => b.textContent.split(' ')[0]);
      seen.case = document.getElementById('caption').textContent;
      seen.drawn = pixels() > 0;
    }''')
    assert seen['overlays'] == ['masks', 'contours', 'boxes', 'labels']
    assert seen['case'] == 'gap: track 1 (class 1): away for 1 frames'
    assert seen['drawn']
