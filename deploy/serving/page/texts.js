"use strict";

// What only this page says.
Object.assign(TEXTS.en, {
  notice: "For research, not for diagnosis.",
  noticeMore: "No answer of this page replaces a physician.",
  imageTitle: "Image",
  choose: "Choose an image",
  hint: "or drop it here, or paste it",
  opacity: "Opacity of the heatmap",
  heatmapHelp: "Grad-CAM: bright places spoke most for the answer.",
  waiting: "No image yet.",
  preview: "The chosen image",
  overlay: "Heatmap over the image: where the model looked",
  noPreview: "Your browser cannot show this format; the answer holds all the same.",
  error_too_many_pixels: "The image has too many pixels: send a smaller one.",
  error_not_an_image: "This file is not an image that can be read (JPEG, PNG, TIFF, WebP, BMP, GIF).",
  error_undecodable: "The image is damaged and cannot be read.",
  error_empty: "The file is empty.",
  error_other: "The image could not be classified.",
});

Object.assign(TEXTS.es, {
  notice: "Para investigación, no para diagnóstico.",
  noticeMore: "Ninguna respuesta de esta página sustituye a un médico.",
  imageTitle: "Imagen",
  choose: "Elegir una imagen",
  hint: "o suéltela aquí, o péguela",
  opacity: "Opacidad del mapa de calor",
  heatmapHelp: "Grad-CAM: las zonas claras son las que más pesaron en la respuesta.",
  waiting: "Aún no hay imagen.",
  preview: "La imagen elegida",
  overlay: "Mapa de calor sobre la imagen: dónde miró el modelo",
  noPreview: "Su navegador no puede mostrar este formato; la respuesta vale igualmente.",
  error_too_many_pixels: "La imagen tiene demasiados píxeles: envíe una más pequeña.",
  error_not_an_image: "Este archivo no es una imagen legible (JPEG, PNG, TIFF, WebP, BMP, GIF).",
  error_undecodable: "La imagen está dañada y no se puede leer.",
  error_empty: "El archivo está vacío.",
  error_other: "No se pudo clasificar la imagen.",
});
