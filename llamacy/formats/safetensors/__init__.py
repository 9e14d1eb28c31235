"""Safetensors files, and Hugging Face's folders of them."""
