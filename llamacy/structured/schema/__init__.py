"""From a JSON schema to one that llguidance enforces to the letter.

::

    keywords      the keywords, and what each does to a text
    places        places in a schema, and the errors that name them
    references    finding the targets of $ref
    values        constants: values that a text can hold exactly
    numbers       bounds and multiples
    strings       lengths, patterns and formats
    patterns      how large a regular expression grows
    objects       properties, and the keys that are not declared
    alternatives  oneOf, where it can be told that only one fits
    translating   all of these together

Every text that follows the result is valid by the schema that was given. The result may
leave out valid texts where nobody misses them: undeclared keys, for example.
"""
