# What is built from the layers: the two libraries, the CLI, the tests.
function(vitrify_link target)
  foreach(layer ${ARGN})
    if(TARGET vitrify_${layer})
      target_link_libraries(${target} PRIVATE vitrify_${layer})
    endif()
  endforeach()
endfunction()

# Everything as one archive-like interface for tests and tools of the repository itself.
add_library(vitrify_all INTERFACE)
foreach(layer ${runtime_layers} ${builder_layers})
  if(TARGET vitrify_${layer})
    target_sources(vitrify_all INTERFACE $<TARGET_OBJECTS:vitrify_${layer}>)
  endif()
endforeach()
target_link_libraries(vitrify_all INTERFACE vitrify_options)

# Tests: one program a file. `ctest` runs them all.
if(VITRIFY_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*_test.cpp)
  foreach(source ${tests})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE vitrify_all GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  endforeach()
endif()

# Benchmarks: one program a file, built on request.
file(GLOB benches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*_bench.cpp)
foreach(source ${benches})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/bench)
  target_link_libraries(${name} PRIVATE vitrify_all)
endforeach()
