# Targets: vitrify::vitrify (everything) and vitrify::runtime (loads and runs engines).
include("${CMAKE_CURRENT_LIST_DIR}/vitrifyTargets.cmake")
