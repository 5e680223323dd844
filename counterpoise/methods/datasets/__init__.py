"""Data sets: one file each; what it decodes to is fixed by `data_hash`.

Contract of `Method`:

- `kind`: "image" or "table"; `classes`: class names, in the order of the labels; `shape`: of one raw example;
  `train_counts`: examples of each class in the training part, so that a plan can be checked without the data.
- `files`: file name -> (URL, checksum of the uncompressed content); empty if the data comes in a package. A URL that
  ends in `#<member>` names a file in a tar archive. `folder`, if given, is the folder that they lie in, for data sets
  that share files; otherwise it is the method's name.
- `data_hash`: `data.hash_arrays` of the four arrays that `read` returns; part of every cell's identity. Where the
  files could not be decoded when the method was written, `data.hash_checksums(files)`: it fixes the files alone.
- `read(locate) -> (train_x, train_y, test_x, test_y)`: the decoded data, not pooled and not standardised.
  `test_*` is the official test part, or a fixed stratified 30 % where there is none; of a table with columns, no row
  where there is none, for studies by cross-validation. `locate(file name)` returns the path of a checked file.
- `columns` (tables that are more than numbers): what each column holds, as `counterpoise.data.columns.Column`; float64,
  codes of categories, NaN where a value is missing. Of two classes, 1 is the positive and rarer one.
- `quantity` (regressions only): what is predicted, with its unit. `read` then returns float64 targets in place of
  labels. Bins of equal width over the training part are `classes` and `train_counts`, by
  `counterpoise.data.targets.classes`, so that whatever goes by class goes by bin; `bins`, where it is an option,
  says how many.
- `pool` (images only): side of the squares of pixels that `preprocess` averages; 1 leaves the image as it is.

Shapes: N examples, C channels, H rows, W columns, D features. `x_NCHW` for images, `x_ND` for tables, `y_N`
int64 labels from 0.
"""
