// Importers of resampling, rearrangement and detection; their rows are in import_spatial.cpp.
#pragma once

namespace vitrify::onnx {

class NodeContext;

void import_resize(NodeContext& context);
void import_resize_10(NodeContext& context);
void import_upsample_1(NodeContext& context);
void import_upsample_7(NodeContext& context);
void import_grid_sample(NodeContext& context);
void import_depth_to_space(NodeContext& context);
void import_space_to_depth(NodeContext& context);
void import_center_crop_pad(NodeContext& context);
void import_nms(NodeContext& context);
void import_roi_align(NodeContext& context);
void import_max_roi_pool(NodeContext& context);
void import_col2im(NodeContext& context);
void import_affine_grid(NodeContext& context);

}  // namespace vitrify::onnx
