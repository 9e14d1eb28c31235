"""Coverage-guided fuzzing of everything that reads untrusted bytes.

`tools/fuzz/run` makes an environment and calls this package's `__main__`, which runs
the targets one after another. A target in Python is a module of `targets`, which
`engine` runs under atheris; `kernels` has the target in C.
"""
