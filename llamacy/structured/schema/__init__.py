"""From a JSON schema to one that llguidance enforces to the letter.

::

    keywords      the keywords, and what each does to a text
    places        places in a schema, and the errors that name them
    references    finding the targets of $ref
    values        constants: values that a text can hold exactly
    numbers       bounds and multiples
    strings       lengths, patterns and formats
    patterns      regular expressions: how large they grow, and what they mean
    arrays        items, and how many there are
    objects       properties, and the keys that are not declared
    alternatives  oneOf, where it can be told that only one fits
    unenforced    keywords that only some values of can be enforced, or none
    circles       schemas that stand for themselves
    translating   all of these together
    translated    what comes of it

Every text that follows the result is valid by the schema that was given. The result may
leave out valid texts where nobody misses them: undeclared keys, for example.
"""
