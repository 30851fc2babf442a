# What is built from the layers: the two libraries, the CLI, the tests.
# The libraries: everything, and what only loads and runs engines. Nothing may be left undefined, so that the runtime
# library shows that it does without importer, passes and builder.
function(vitrify_library target output exported)
  add_library(${target} SHARED)
  foreach(layer ${ARGN})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:vitrify_${layer}>)
  endforeach()
  target_link_libraries(${target} PRIVATE vitrify_options)
  if(NOT VITRIFY_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map)
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
  endif()
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL -Wl,-O1 -Wl,--gc-sections)
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:include>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} EXPORT_NAME ${exported} VERSION ${PROJECT_VERSION}
                                             SOVERSION ${PROJECT_VERSION_MAJOR})
endfunction()
vitrify_library(vitrify_shared vitrify vitrify ${runtime_layers} ${builder_layers})
vitrify_library(vitrify_runtime_shared vitrify_runtime runtime ${runtime_layers})
# The names that an installed tree has, for projects that add this one as a folder.
add_library(vitrify::vitrify ALIAS vitrify_shared)
add_library(vitrify::runtime ALIAS vitrify_runtime_shared)

# The command line: only what include/vitrify offers.
file(GLOB cli CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.cpp)
add_executable(vitrify_cli ${cli})
target_compile_options(vitrify_cli PRIVATE -Wall -Wextra -Wpedantic -Werror -Wno-maybe-uninitialized -Wno-restrict
                                           $<$<CONFIG:Release>:-O1>) # nothing there is hot; its headers are slow
target_precompile_headers(vitrify_cli PRIVATE cli/common.h)
target_include_directories(vitrify_cli PRIVATE ${PROJECT_SOURCE_DIR}/cli)
target_link_libraries(vitrify_cli PRIVATE vitrify_shared vitrify_sanitize)
set_target_properties(vitrify_cli PROPERTIES OUTPUT_NAME vitrify INSTALL_RPATH "$ORIGIN/../lib")

include(${PROJECT_SOURCE_DIR}/cmake/install.cmake)

# Everything below the API as one archive-like interface for tests and tools of the repository itself.
add_library(vitrify_all INTERFACE)
set(inner_layers ${runtime_layers} ${builder_layers})
list(REMOVE_ITEM inner_layers api api_build)
foreach(layer ${inner_layers})
  if(TARGET vitrify_${layer})
    target_sources(vitrify_all INTERFACE $<TARGET_OBJECTS:vitrify_${layer}>)
  endif()
endforeach()
target_link_libraries(vitrify_all INTERFACE vitrify_options)

# Tests: one program a file. `ctest` runs them all.
if(VITRIFY_TESTS)
  set(sanitizer_flag)
  if(VITRIFY_SANITIZE)
    set(sanitizer_flag -fsanitize=${VITRIFY_SANITIZE})
  endif()
  enable_testing()
  find_package(GTest REQUIRED)
  file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*_test.cpp)
  foreach(source ${tests})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
    if(name MATCHES "^(api|api_runs|api_values|cli|package)_test$") # these see only what users see
      target_link_libraries(${name} PRIVATE vitrify_shared vitrify_sanitize GTest::gtest_main)
    else()
      target_link_libraries(${name} PRIVATE vitrify_all GTest::gtest_main)
    endif()
    if(name MATCHES "^(cli|package)_test$")
      target_compile_definitions(${name} PRIVATE VITRIFY_CLI="$<TARGET_FILE:vitrify_cli>"
                                                 VITRIFY_BUILD_DIR="${CMAKE_BINARY_DIR}"
                                                 VITRIFY_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                                 VITRIFY_TEST_FLAGS="${sanitizer_flag}")
      add_dependencies(${name} vitrify_cli vitrify_runtime_shared)
    endif()
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  endforeach()
endif()

# Benchmarks: one program a file, built on request.
file(GLOB benches CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*_bench.cpp)
foreach(source ${benches})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/bench)
  target_link_libraries(${name} PRIVATE vitrify_all)
endforeach()
