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
  frame: "Frame",
  abstained_unlike_training: () => "No prediction: this image is unlike the training images.",
  abstained_not_sure: (set) => (set.length
    ? `No prediction: the model is not sure. Possible: ${set.join(", ")}.`
    : "No prediction: the model is not sure of any class."),
  drift: (window) =>
    `The last ${window} images got other answers than the validation images: the published figures may not hold for them.`,
  neverAbstains: "This model never abstains: it names a class for any image.",
  noPreview: "Your browser cannot show this format: this is the image as the model saw it.",
  error_too_many_images: "The file holds more frames than are answered at once.",
  error_dicom_unknown_window: "This model does not take DICOM: it must be trained again first.",
  error_too_many_pixels: "The image has too many pixels: send a smaller one.",
  error_not_an_image: "This file is not an image that can be read (JPEG, PNG, TIFF, WebP, BMP, GIF, DICOM).",
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
  frame: "Fotograma",
  abstained_unlike_training: () => "Sin predicción: esta imagen no se parece a las de entrenamiento.",
  abstained_not_sure: (set) => (set.length
    ? `Sin predicción: el modelo no está seguro. Posibles: ${set.join(", ")}.`
    : "Sin predicción: el modelo no está seguro de ninguna clase."),
  drift: (window) =>
    `Las últimas ${window} imágenes recibieron otras respuestas que las de validación: las cifras publicadas pueden no valer para ellas.`,
  neverAbstains: "Este modelo nunca se abstiene: nombra una clase para cualquier imagen.",
  noPreview: "Su navegador no puede mostrar este formato: esta es la imagen como la vio el modelo.",
  error_too_many_images: "El archivo tiene más fotogramas de los que se responden a la vez.",
  error_dicom_unknown_window: "Este modelo no acepta DICOM: antes hay que volver a entrenarlo.",
  error_too_many_pixels: "La imagen tiene demasiados píxeles: envíe una más pequeña.",
  error_not_an_image: "Este archivo no es una imagen legible (JPEG, PNG, TIFF, WebP, BMP, GIF, DICOM).",
  error_undecodable: "La imagen está dañada y no se puede leer.",
  error_empty: "El archivo está vacío.",
  error_other: "No se pudo clasificar la imagen.",
});
