# Targets: vitrify::vitrify (everything) and vitrify::vitrify_runtime (loads and runs engines).
include("${CMAKE_CURRENT_LIST_DIR}/vitrifyTargets.cmake")
