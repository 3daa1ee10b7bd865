"""Sphinx: the pages of the repository, and the API from its docstrings.

`make docs` builds them into build/docs.
"""
import re
from pathlib import Path

import mmvis_memcnp  # noqa: F401  before what autodoc imports

project = 'mmvis_memcnp'
author = 'the authors of mmvis_memcnp'
version = release = mmvis_memcnp.__version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon',
              'sphinx.ext.viewcode', 'sphinx.ext.apidoc']

# The source is the root of the repository, so that links between pages are
# the same here and on a server that shows the repository.
root_doc = 'README'
include_patterns = [
    '*.md', 'docs/*.md', 'docs/benchmarks/*.md', 'docs/build/*.rst',
    'configs/*/README.md', 'demo/weights/README.md',
    'tools/benchmark/README.md', 'tests/parity/README.md']
NAVIGATION = '''

```{toctree}
:hidden:
:glob:

docs/README
docs/[a-z]*
docs/benchmarks/README
docs/benchmarks/[a-z]*
configs/*/README
demo/weights/README
tools/benchmark/README
tests/parity/README
CONTRIBUTING
CHANGELOG
docs/build/modules
```
'''
myst_heading_anchors = 6
# Headings of the FAQ are messages, small ones; two systems may have classes of
# the same name.
suppress_warnings = ['myst.header', 'ref.python']
html_theme = 'alabaster'
html_theme_options = dict(page_width='1100px', fixed_sidebar=True)

# Rewritten at each build, in a folder that git ignores.
apidoc_modules = [dict(
    path='../mmvis_memcnp', destination='docs/build', separate_modules=True,
    module_first=True, automodule_options={'members', 'show-inheritance'})]
autodoc_default_options = {'ignore-module-all': True}
autodoc_typehints = 'none'
# Attributes of a class stand in its text alone.
napoleon_use_ivar = True

# A place that has no heading: `<a id="...">` on a page, `(...)=` for MyST.
PLACE = re.compile(r'^<a id="([^"]+)"></a>', re.M)
# A link to a folder shows what is in it on a server; a site has no page for
# that.
LINK = re.compile(r'(?<!!)\[([^\]]+)\]\(([^)#:\s]+)\)')


def setup(app):
    """Let the first page name all others, and folders be text."""
    def prepare(app, name, source):
        folder = Path(app.srcdir, name).parent
        text = LINK.sub(
            lambda m: m[1] if (folder / m[2]).is_dir() else m[0], source[0])
        source[0] = PLACE.sub(r'(\1)=\n', text)
        if name == root_doc:
            source[0] += NAVIGATION

    app.connect('source-read', prepare)
