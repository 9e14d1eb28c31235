"""The page at `/`: a chat in the browser, in one document.

::

    document        `sources` to the one document, and the policy that it comes with
    endpoint        `/`: sends the document
    sources         HTML, style and ES modules, of which `main.js` is the first to read

The sources stand apart because an editor, a linter and a reader know HTML, CSS and ES
modules. Browsers get one document, joined when it is first asked for, so that the page
needs no build step and no second request, and asks nobody but its own server.
"""
