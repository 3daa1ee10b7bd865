_base_ = ['../_base_/models/instanceformer_r50.py']
