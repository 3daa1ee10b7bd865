"""What the tests of the page share."""
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/report.py'


def read_data(page):
    """The data inside a page."""
    text = Path(page).read_text(encoding='utf-8')
    start = '<script id="data" type="application/json">'
    return json.loads(text.split(start)[1].split('</script>')[0])
