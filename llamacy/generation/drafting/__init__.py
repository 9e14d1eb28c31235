"""Drafts: tokens that a text probably goes on with, for one pass to check together.

A pass reads every weight once, whatever the number of its rows, so that rows beside the
first cost little. A draft fills them; the model's own choice, row by row, decides how
many of its tokens are the text's, and no text depends on its drafts.

::

    drafter     Drafter: the drafts of one text; TextDrafter finds them in the text
    lookup      where the end of a text has occurred before
    hit_rates   how often a text goes on as it did there
    proposer, proposal_drafter
                tokens proposed for all texts together, where they repeat nothing
    draft_model, model_drafter
                by a smaller model
    mtp_head    by the model's own MTP head
    worth       whether another of them is worth the time
    rates       how often something came true, by its kind
    row_costs   how long passes take, by their rows
    allotting   how many drafted tokens each text has in a pass
"""
