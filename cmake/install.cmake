# What `cmake --install` copies, and what find_package(vitrify) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vitrify)

install(TARGETS vitrify_shared vitrify_runtime_shared vitrify_cli EXPORT vitrifyTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/vitrify DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT vitrifyTargets NAMESPACE vitrify:: DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/vitrifyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/vitrifyConfig.cmake ${CMAKE_BINARY_DIR}/vitrifyConfigVersion.cmake
        DESTINATION ${package_dir})
