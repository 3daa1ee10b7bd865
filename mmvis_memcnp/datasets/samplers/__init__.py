"""Which frames make a clip, and which items a process serves."""
from .clip_samplers import ClipSampler, KeyRefSampler
from .near_far_sampler import NearFarClipSampler
from .video_frame_sampler import VideoFrameSampler

__all__ = ['ClipSampler', 'KeyRefSampler', 'NearFarClipSampler',
           'VideoFrameSampler']
