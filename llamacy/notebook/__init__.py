"""How models, results and conversations look in a notebook.

=========  ===========================================================================
page       templates of HTML, in which every value is escaped
cards      a model, a text, an answer, a session, likelihoods, labels
live       a stream, which shows its text while it is generated
chat       `Transcript`: a whole conversation
=========  ===========================================================================

IPython asks an object for these forms by methods with names such as `_repr_html_`; they
import this package when they are called. Nothing here needs IPython but `live`, which
IPython calls.
"""

from llamacy.notebook.chat import Transcript

__all__ = ["Transcript"]
