"""Files of llama.cpp's own converter against transformers on the folder that they were made of."""
