# cmake --install BUILD [--prefix PREFIX]: program, both libraries, headers, man page, models and data, m2m.pc, m2mConfig.cmake.
include(CMakePackageConfigHelpers)
set(M2M_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/m2m)

install(TARGETS m2m_shared m2m_static EXPORT m2mTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
if(TARGET m2m)
  install(TARGETS m2m RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES docs/m2m.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
install(DIRECTORY models share/ DESTINATION ${CMAKE_INSTALL_DATADIR}/m2m OPTIONAL)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# What libm2m.a needs, by library: naming the pkg-config modules would ask for what *their* archives need.
set(M2M_PC_LIBRARIES "")
foreach(module CJSON SPNG TURBOJPEG WEBP ARCHIVE UTF8PROC ZLIB NETTLE OPENBLAS)
  foreach(library ${${module}_LIBRARIES})
    string(APPEND M2M_PC_LIBRARIES " -l${library}")
  endforeach()
endforeach()
string(STRIP "${M2M_PC_LIBRARIES}" M2M_PC_LIBRARIES)
# From the folder of m2m.pc up to the prefix, so that what is installed can be moved.
file(RELATIVE_PATH M2M_PC_UP /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/m2m.pc.in ${PROJECT_BINARY_DIR}/m2m.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/m2m.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(cmake/m2mConfig.cmake.in ${PROJECT_BINARY_DIR}/m2mConfig.cmake INSTALL_DESTINATION ${M2M_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/m2mConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/m2mConfig.cmake ${PROJECT_BINARY_DIR}/m2mConfigVersion.cmake DESTINATION ${M2M_CMAKE_DIR})
install(EXPORT m2mTargets NAMESPACE m2m:: DESTINATION ${M2M_CMAKE_DIR})
