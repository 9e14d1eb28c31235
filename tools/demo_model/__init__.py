"""The bundled demo model: its text, its training, its evaluation.

`python -m tools.demo_model` makes `llamacy/model_files/demo.gguf` from nothing but this
folder and a seed. README.md lists the modules.
"""
