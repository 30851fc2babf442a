// The build options' handle.
#pragma once

#include "builder/builder.h"
#include "vitrify/vitrify.h"

struct vitrify_build_options {
  vitrify::BuildOptions options;
};
