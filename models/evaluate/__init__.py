"""Figures of embedders on photographs or crops; `python -m models.evaluate --help`.

embedders.py  ONNX files, checkpoints and running services, all as crops -> embeddings
faces.py      packs, folders of photographs and archives become crops
lfw.py        LFW's 6,000 pairs, 1:1
identify.py   open-set identification, 1:N, also by group
strangers.py  false matches by group where identities are unknown
plots.py      curves and histograms · sheets.py pictures of the worst pairs
card.py       the tables of the model card
"""
