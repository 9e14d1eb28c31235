"""Safetensors files, and folders of them as Hugging Face has them."""
