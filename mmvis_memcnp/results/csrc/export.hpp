#pragma once

#define MMVIS_EXPORT extern "C" __attribute__((visibility("default")))
