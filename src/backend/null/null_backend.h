// The null backend: host memory and no tactics, so that everything runs on the reference kernels.
// A new backend starts as a copy of this folder.
#pragma once

#include "backend/backend.h"

namespace vitrify::null {

Backend& backend();

}  // namespace vitrify::null
